/// The CUDA driver through Panama, and kernels for the primitive operations on it.
package dev.graft.cuda;
