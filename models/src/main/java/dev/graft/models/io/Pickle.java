package dev.graft.models.io;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// Python's pickle, as far as state dictionaries use it: a machine with a stack and a memo that builds plain values.
///
/// A pickle is a program that may call anything importable. This one calls nothing: a global is a name, looked up in what [Host] allows, and
/// any other name, like any opcode not needed for a dictionary of tensors, is refused. Memory is bounded by the pickle's length, as every
/// opcode pushes at most one object and none copies a container.
final class Pickle {
    /// What a pickle may refer to outside itself.
    interface Host {
        /// What the global stands for: an object made here, whose meaning only the host knows. Throws when it is not allowed.
        Object global(String module, String name);

        /// The result of calling what [#global] gave with these arguments.
        Object call(Object callable, List<Object> arguments);

        /// The object kept outside the pickle under this id.
        Object persistent(Object id);
    }

    /// An immutable Python sequence.
    record Tuple(List<Object> items) {}

    /// Python's None.
    enum None {
        NONE
    }

    private enum Mark {
        MARK
    }

    private final Path file;
    private final MemorySegment code;
    private final Host host;
    private final List<Object> stack = new ArrayList<>();
    private final Map<Integer, Object> memo = new HashMap<>();
    private long at;

    private Pickle(Path file, MemorySegment code, Host host) {
        this.file = file;
        this.code = code;
        this.host = host;
    }

    /// Runs the pickle. Gives a `Long`, `Double`, `Boolean`, `String`, [None], [Tuple], `List`, `Map`, or an object of the host.
    static Object load(Path file, MemorySegment code, Host host) {
        return new Pickle(file, code, host).run();
    }

    private Object run() {
        if (u8() != 0x80) throw problem("does not begin with PROTO");
        int protocol = u8();
        if (protocol < 2 || protocol > 5) throw problem("is of protocol " + protocol + "; protocols 2 to 5 are read");
        while (true) {
            int opcode = u8();
            switch (opcode) {
                case '.' -> { // STOP
                    Object result = pop();
                    if (!stack.isEmpty()) throw problem("stops with " + stack.size() + " objects left over");
                    if (at != code.byteSize()) throw problem("goes on after its STOP");
                    return result;
                }
                case 0x95 -> take(8);                                                // FRAME: how far to read ahead
                case '(' -> push(Mark.MARK);                                         // MARK
                case 'N' -> push(None.NONE);                                         // NONE
                case 0x88 -> push(true);                                             // NEWTRUE
                case 0x89 -> push(false);                                            // NEWFALSE
                case 'J' -> push((long) code.get(LittleEndian.INT, take(4)));        // BININT
                case 'K' -> push((long) u8());                                       // BININT1
                case 'M' -> push(code.get(LittleEndian.SHORT, take(2)) & 0xffffL);   // BININT2
                case 0x8a -> push(readLong(u8()));                                   // LONG1
                case 'G' -> push(readDouble());                                      // BINFLOAT
                case 'X' -> push(text(u32()));                                       // BINUNICODE
                case 0x8c -> push(text(u8()));                                       // SHORT_BINUNICODE
                case ')' -> push(new Tuple(List.of()));                              // EMPTY_TUPLE
                case 0x85 -> push(new Tuple(popItems(1)));                           // TUPLE1
                case 0x86 -> push(new Tuple(popItems(2)));                           // TUPLE2
                case 0x87 -> push(new Tuple(popItems(3)));                           // TUPLE3
                case 't' -> push(new Tuple(popToMark()));                            // TUPLE
                case ']' -> push(new ArrayList<>());                                 // EMPTY_LIST
                case '}' -> push(new LinkedHashMap<>());                             // EMPTY_DICT
                case 'a' -> list(popItems(1));                                       // APPEND
                case 'e' -> list(popToMark());                                       // APPENDS
                case 's' -> dictionary(popItems(2));                                 // SETITEM
                case 'u' -> dictionary(popToMark());                                 // SETITEMS
                case 'q' -> memo.put(u8(), top());                                   // BINPUT
                case 'r' -> memo.put(index(), top());                                // LONG_BINPUT
                case 0x94 -> memo.put(memo.size(), top());                           // MEMOIZE
                case 'h' -> push(recall(u8()));                                      // BINGET
                case 'j' -> push(recall(index()));                                   // LONG_BINGET
                case 'c' -> push(host.global(line(), line()));                            // GLOBAL
                case 0x93 -> stackGlobal();                                          // STACK_GLOBAL
                case 'R' -> reduce();                                                // REDUCE
                case 'b' -> build();                                                 // BUILD
                case 'Q' -> push(host.persistent(pop()));                            // BINPERSID
                default -> throw problem(
                        String.format("has the opcode 0x%02x at byte %d, which a dictionary of tensors does not need", opcode, at - 1));
            }
        }
    }

    private void list(List<Object> items) {
        if (!(top() instanceof ArrayList<?> list)) throw problem("appends to " + kind(top()));
        @SuppressWarnings("unchecked") // only EMPTY_LIST makes these, of any objects
        List<Object> objects = (List<Object>) list;
        objects.addAll(items);
    }

    private void dictionary(List<Object> items) {
        if (!(top() instanceof LinkedHashMap<?, ?> map)) throw problem("sets items of " + kind(top()));
        if (items.size() % 2 != 0) throw problem("sets a key without a value");
        @SuppressWarnings("unchecked") // only EMPTY_DICT and OrderedDict make these, of any objects
        Map<Object, Object> objects = (Map<Object, Object>) map;
        for (int i = 0; i < items.size(); i += 2) {
            Object key = items.get(i);
            // Other keys could hash themselves through nested containers, for ever if they contain themselves.
            if (!(key instanceof String) && !(key instanceof Long)) throw problem("has " + kind(key) + " as a key");
            if (objects.putIfAbsent(key, items.get(i + 1)) != null)
                throw problem("has the key " + CheckpointException.quote(key.toString()) + " twice");
        }
    }

    private void stackGlobal() {
        List<Object> names = popItems(2);
        if (!(names.get(0) instanceof String module) || !(names.get(1) instanceof String name))
            throw problem("names a global by " + kind(names.get(0)) + " and " + kind(names.get(1)));
        push(host.global(module, name));
    }

    private void reduce() {
        List<Object> call = popItems(2);
        if (!(call.get(1) instanceof Tuple(List<Object> arguments))) throw problem("calls with " + kind(call.get(1)) + " as arguments");
        push(host.call(call.get(0), arguments));
    }

    /// Sets attributes. The only ones state dictionaries have are those of the OrderedDict, `_metadata` with version numbers.
    private void build() {
        Object state = pop();
        if (!(top() instanceof LinkedHashMap) || !(state instanceof LinkedHashMap))
            throw problem("sets attributes of " + kind(top()) + " from " + kind(state));
    }

    private Object recall(int index) {
        Object value = memo.get(index);
        if (value == null) throw problem("recalls object " + index + ", which it never kept");
        return value;
    }

    private void push(Object value) {
        stack.add(value);
    }

    private Object top() {
        if (stack.isEmpty() || stack.getLast() == Mark.MARK) throw problem("uses an object before making it");
        return stack.getLast();
    }

    private Object pop() {
        Object top = top();
        stack.removeLast();
        return top;
    }

    private List<Object> popItems(int count) {
        Object[] items = new Object[count];
        for (int i = count - 1; i >= 0; i--) items[i] = pop();
        return List.of(items);
    }

    private List<Object> popToMark() {
        int mark = stack.lastIndexOf(Mark.MARK);
        if (mark < 0) throw problem("closes a group it never opened");
        List<Object> group = stack.subList(mark, stack.size());
        List<Object> items = List.copyOf(group.subList(1, group.size()));
        group.clear();
        return items;
    }

    /// Moves on by `bytes` and gives where they began.
    private long take(long bytes) {
        if (bytes > code.byteSize() - at) throw problem("ends in the middle of an opcode, at byte " + at);
        long start = at;
        at += bytes;
        return start;
    }

    private int u8() {
        return code.get(JAVA_BYTE, take(1)) & 0xff;
    }

    private long u32() {
        return code.get(LittleEndian.INT, take(4)) & 0xffffffffL;
    }

    private int index() {
        long index = u32();
        if (index > Integer.MAX_VALUE) throw problem("keeps an object under the number " + index);
        return (int) index;
    }

    private String text(long length) {
        return Utf8.decode(file, "a string in its data.pkl", code.asSlice(take(length), length).toArray(JAVA_BYTE));
    }

    private String line() {
        long start = at;
        while (u8() != '\n') {}
        return Utf8.decode(file, "a string in its data.pkl", code.asSlice(start, at - 1 - start).toArray(JAVA_BYTE));
    }

    /// Two's complement, little-endian; no number in here needs more than 64 bits.
    private long readLong(int length) {
        byte[] bytes = new byte[length + 1];
        long start = take(length);
        for (int i = 0; i < length; i++) bytes[length - i] = code.get(JAVA_BYTE, start + i);
        if (length > 0 && bytes[1] < 0) bytes[0] = -1;
        BigInteger value = new BigInteger(bytes);
        if (value.bitLength() > 63) throw problem("has the number " + value + ", which does not fit 64 bits");
        return value.longValue();
    }

    private double readDouble() {
        return Double.longBitsToDouble(Long.reverseBytes(code.get(LittleEndian.LONG, take(8))));
    }

    static String kind(Object value) {
        return switch (value) {
            case Long _ -> "a number";
            case Double _ -> "a fraction";
            case Boolean _ -> "a boolean";
            case String _ -> "a string";
            case None _ -> "None";
            case Tuple _ -> "a tuple";
            case List<?> _ -> "a list";
            case Map<?, ?> _ -> "a dictionary";
            default -> "a " + value.getClass().getSimpleName().toLowerCase(Locale.ROOT);
        };
    }

    private CheckpointException problem(String problem) {
        return new CheckpointException(file, "has a data.pkl that " + problem);
    }
}
