package dev.graft.tensor.cpu;

import java.io.IOException;
import java.io.InputStream;
import java.lang.invoke.MethodHandles;

/// Gives every function a vector loop of its own, from one that is written once.
///
/// A loop that is handed its function as an argument gets slow once it has met three of them: the JIT no longer inlines the call, and each vector
/// crosses it as an object. So a loop is a template, a class with its function in a `static final` field, and is defined anew for each function as a
/// hidden class (JEP 371). To the JIT the field is a constant, and every copy has a type profile of its own.
final class Specialised {
    private Specialised() {
    }

    /// A copy of the template whose [#function] is this one.
    static <L> L loop(Class<L> kind, Class<? extends L> template, Object function) {
        try (InputStream code = template.getResourceAsStream(template.getSimpleName() + ".class")) {
            MethodHandles.Lookup copy = MethodHandles.lookup().defineHiddenClassWithClassData(code.readAllBytes(), function, true);
            return kind.cast(copy.lookupClass().getDeclaredConstructor().newInstance());
        } catch (IOException | ReflectiveOperationException e) {
            throw new IllegalStateException("cannot specialise " + template, e);
        }
    }

    /// For the static initialiser of a template: the function of the copy at hand, null in the template itself.
    static <F> F function(MethodHandles.Lookup copy, Class<F> kind) {
        try {
            return MethodHandles.classData(copy, "_", kind);
        } catch (IllegalAccessException e) {
            throw new IllegalStateException(e);
        }
    }
}
