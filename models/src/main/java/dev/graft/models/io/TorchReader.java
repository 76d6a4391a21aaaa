package dev.graft.models.io;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.graft.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.zip.CRC32;

/// Reads [TorchZip] files: finds the entries, runs the pickle with nothing but tensors allowed, and checks that every tensor's elements lie
/// inside its storage.
final class TorchReader implements Pickle.Host {
    private static final long MAX_PICKLE_BYTES = 16 << 20;
    /// Views that must be copied may take this many times the file's size together, as an expanded view can repeat one number for ever.
    private static final long MAX_COPIES = 4;

    private record Storage(String key, TorchGlobals.StorageType type, MemorySegment bytes) {}

    private record Tensor(StoredType type, MemorySegment storage, long offset, long[] size, long[] stride) {}

    private final Path file;
    private final Arena arena;
    private final long fileBytes;
    private final SequencedMap<String, ZipDirectory.Part> parts;
    private final String top;

    private TorchReader(Path file, MemorySegment zip, Arena arena) {
        this.file = file;
        this.arena = arena;
        this.fileBytes = zip.byteSize();
        this.parts = ZipDirectory.read(file, zip);
        List<String> pickles = parts.keySet().stream().filter(n -> n.endsWith("/data.pkl") && n.indexOf('/') == n.lastIndexOf('/'))
                .toList();
        if (pickles.size() != 1)
            throw problem("is a zip with " + pickles.size() + " entries of the form <name>/data.pkl; a file of torch.save has one");
        this.top = pickles.getFirst().substring(0, pickles.getFirst().length() - "data.pkl".length());
    }

    /// The tensors of the dictionary in the file, in its order.
    static List<Entry> read(Path file, MemorySegment zip, Arena arena) {
        return new TorchReader(file, zip, arena).read();
    }

    private List<Entry> read() {
        if (parts.containsKey(top + "constants.pkl")) throw problem("is a TorchScript program (torch.jit.save), not a state dictionary");
        if (parts.containsKey(top + "byteorder")) {
            String order = new String(part("byteorder", 100).toArray(JAVA_BYTE), StandardCharsets.ISO_8859_1);
            if (!order.equals("little"))
                throw problem("was written on a machine with the byte order " + CheckpointException.quote(order) + "; only little is read");
        }
        MemorySegment pickle = part("data.pkl", MAX_PICKLE_BYTES);
        long crc = parts.get(top + "data.pkl").crc();
        if (crc != 0 && crc != crc(pickle)) throw problem("has a damaged data.pkl: its checksum does not match"); // 0: torch wrote none
        Object dictionary = Pickle.load(file, pickle, this);
        if (!(dictionary instanceof Map<?, ?> tensors))
            throw problem("holds " + Pickle.kind(dictionary) + " and not a dictionary of tensors; save model.state_dict()");
        return entries(tensors);
    }

    private List<Entry> entries(Map<?, ?> tensors) {
        List<Entry> entries = new ArrayList<>();
        long copied = 0;
        for (var item : tensors.entrySet()) {
            if (!(item.getKey() instanceof String name)) throw problem("has a key that is a number and not a tensor's name");
            if (!(item.getValue() instanceof Tensor tensor)) {
                throw problem("has " + Pickle.kind(item.getValue()) + " under " + CheckpointException.quote(name)
                        + " where a tensor should be; a checkpoint holds the state_dict alone, without what training adds to it");
            }
            Shape shape = Bounds.shape(file, name, tensor.size);
            MemorySegment storage = checkInside(name, tensor, shape);
            if (shape.size() == 0 || follows(shape, tensor.stride)) {
                entries.add(Entry.contiguous(name, tensor.type, shape, file, storage.asSlice(0, shape.size() * tensor.type.bits() / 8)));
            } else {
                Entry entry = Entry.strided(name, tensor.type, shape, file, storage, tensor.stride, arena);
                copied = Math.addExact(copied, entry.byteSize());
                if (copied > MAX_COPIES * fileBytes) {
                    String size = entry.byteSize() + " bytes, from a file of " + fileBytes;
                    throw entry.problem("is a view with strides " + Arrays.toString(tensor.stride)
                            + " that repeats elements and would take " + size + "; save tensor.contiguous()");
                }
                entries.add(entry);
            }
        }
        return entries;
    }

    /// The storage from the tensor's first element on, after a check that its last one is in it.
    private MemorySegment checkInside(String name, Tensor tensor, Shape shape) {
        if (tensor.stride.length != shape.rank())
            throw CheckpointException.tensor(file, name, "has " + tensor.stride.length + " strides for the shape " + shape);
        long width = tensor.type.bits() / 8, held = tensor.storage.byteSize() / width, last = tensor.offset;
        String place = "has shape " + shape + " with strides " + Arrays.toString(tensor.stride) + " from element " + tensor.offset;
        try {
            if (tensor.offset < 0) throw CheckpointException.tensor(file, name, place + "; the offset must not be negative");
            for (int axis = 0; axis < shape.rank(); axis++) {
                if (tensor.stride[axis] < 0) throw CheckpointException.tensor(file, name, place + "; strides must not be negative");
                if (shape.size() > 0) last = Math.addExact(last, Math.multiplyExact(shape.dim(axis) - 1L, tensor.stride[axis]));
            }
        } catch (ArithmeticException e) {
            throw CheckpointException.tensor(file, name, place + ", which is beyond 2^63");
        }
        if (shape.size() == 0 ? last > held : last >= held)
            throw CheckpointException.tensor(file, name, place + ", which reaches beyond its storage of " + held);
        return tensor.storage.asSlice(tensor.offset * width);
    }

    /// Whether the elements lie one after the other; the stride of an axis with one index says nothing.
    private static boolean follows(Shape shape, long[] strides) {
        long[] wanted = shape.strides();
        for (int axis = 0; axis < strides.length; axis++) if (shape.dim(axis) > 1 && strides[axis] != wanted[axis]) return false;
        return true;
    }

    @Override
    public Object global(String module, String name) {
        Object known = TorchGlobals.ALLOWED.get(module + "." + name);
        if (known == null) {
            throw problem("asks for " + CheckpointException.quote(module + "." + name)
                    + ", which is not allowed: a checkpoint may use OrderedDict, tensors and their storages, and nothing is ever called");
        }
        return known;
    }

    @Override
    public Object call(Object callable, List<Object> arguments) {
        return switch (callable) {
            case TorchGlobals.Callable c -> switch (c) {
                case ORDERED_DICT -> {
                    if (!arguments.isEmpty()) throw problem("makes an OrderedDict with " + arguments.size() + " arguments");
                    yield new LinkedHashMap<>();
                }
                case REBUILD_TENSOR_V2 -> tensor(arguments, null);
                case REBUILD_TENSOR_V3 -> tensor(arguments, argument(arguments, 6, TorchGlobals.ElementType.class, "a dtype").type());
                case REBUILD_PARAMETER -> argument(arguments, 0, Tensor.class, "a tensor");
            };
            default -> throw problem("has a data.pkl that calls " + Pickle.kind(callable));
        };
    }

    private Tensor tensor(List<Object> arguments, StoredType given) {
        Storage storage = argument(arguments, 0, Storage.class, "a storage");
        StoredType type = given != null ? given : storage.type.type();
        if (type == null)
            throw problem("has a tensor on the untyped storage " + CheckpointException.quote(storage.key)
                    + " that does not say what its elements are");
        return new Tensor(type, storage.bytes, number(arguments, 1), numbers(arguments, 2), numbers(arguments, 3));
    }

    @Override
    public Object persistent(Object id) {
        if (!(id instanceof Pickle.Tuple(List<Object> items)) || items.size() != 5 || !"storage".equals(items.getFirst())) {
            throw problem("refers to something outside itself that is not a storage");
        }
        var type = argument(items, 1, TorchGlobals.StorageType.class, "a storage class");
        String key = argument(items, 2, String.class, "a storage's key");
        long count = number(items, 4), width = type.type() == null ? 1 : type.type().bits() / 8;
        MemorySegment bytes = part("data/" + key, Long.MAX_VALUE);
        if (count < 0 || count > bytes.byteSize() / width || count * width != bytes.byteSize()) {
            throw problem("says that storage " + CheckpointException.quote(key) + " has " + count + " elements of " + width
                    + " bytes, but it has " + bytes.byteSize() + " bytes");
        }
        return new Storage(key, type, bytes);
    }

    private MemorySegment part(String name, long maxBytes) {
        ZipDirectory.Part part = parts.get(top + name);
        if (part == null) throw problem("has no entry " + CheckpointException.quote(top + name));
        if (part.data().byteSize() > maxBytes)
            throw problem("has " + part.data().byteSize() + " bytes in " + CheckpointException.quote(part.name()) + "; at most " + maxBytes
                    + " are read");
        return part.data();
    }

    private <T> T argument(List<Object> arguments, int i, Class<T> type, String wanted) {
        if (i >= arguments.size() || !type.isInstance(arguments.get(i))) {
            throw problem("has a data.pkl that passes " + (i < arguments.size() ? Pickle.kind(arguments.get(i)) : "nothing") + " where "
                    + wanted + " should be");
        }
        return type.cast(arguments.get(i));
    }

    private long number(List<Object> arguments, int i) {
        return argument(arguments, i, Long.class, "a number");
    }

    private long[] numbers(List<Object> arguments, int i) {
        List<Object> items = argument(arguments, i, Pickle.Tuple.class, "a tuple").items();
        long[] numbers = new long[items.size()];
        for (int k = 0; k < numbers.length; k++) numbers[k] = number(items, k);
        return numbers;
    }

    private static long crc(MemorySegment bytes) {
        var crc = new CRC32();
        crc.update(bytes.asByteBuffer());
        return crc.getValue();
    }

    private CheckpointException problem(String problem) {
        return new CheckpointException(file, problem);
    }
}
