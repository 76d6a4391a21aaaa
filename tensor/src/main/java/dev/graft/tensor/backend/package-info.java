/// What a backend has to provide: storage, views of it, and kernels for the primitive operations.
package dev.graft.tensor.backend;
