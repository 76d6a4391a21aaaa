package dev.graft.tensor.backend;

import java.util.List;

/// Says what backends there are on this machine: found by [java.util.ServiceLoader]. A backend that cannot run here may be among them, to say why.
public interface BackendProvider {
    /// Asked once. Nothing expensive happens before a backend is first used.
    List<Backend> backends();
}
