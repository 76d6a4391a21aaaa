package dev.graft.cuda;

import dev.graft.cuda.driver.CudaException;
import dev.graft.cuda.driver.Driver;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Work that is handed to a device as CUDA graphs, instead of launch by launch.
///
/// Between [#begin] and [#end] the driver writes down what it is asked to do. It is handed over as a whole at the end, and before whatever cannot be written down: reading a value, memory that the
/// pool has not got. So a training step is a few pieces, each a graph. When the same work comes again, its graphs are those of the last time with other numbers in them (`cuGraphExecUpdate`), or new
/// ones where more than numbers has changed.
final class Recording {
    private final Driver driver;
    private final long stream;
    private final Map<String, List<Long>> graphs = new HashMap<>();              // of each piece of a work
    private String work;
    private int piece;
    private boolean isCapturing;
    private long launched;

    Recording(Driver driver, long stream) {
        this.driver = driver;
        this.stream = stream;
    }

    /// @return whether it began, which it does not inside of other work
    synchronized boolean begin(String name) {
        if (work != null) return false;
        work = name;
        piece = 0;
        return true;
    }

    synchronized void end() {
        try {
            flush();
        } finally {
            work = null;
        }
    }

    /// Before what can be written down.
    synchronized void beforeWork() {
        if (work == null || isCapturing) return;
        driver.beginCapture(stream);
        isCapturing = true;
    }

    /// Before what cannot.
    synchronized void flush() {
        if (!isCapturing) return;
        isCapturing = false;
        try {
            long graph = driver.endCapture(stream);
            try {
                driver.launchGraph(ready(graph), stream);
                launched++;
            } finally {
                driver.destroyGraph(graph);
            }
        } catch (CudaException e) {
            throw new WorkLost(e);
        }
        piece++;
    }

    /// What was written down has not run, and its results count as computed: none of them may be used.
    static final class WorkLost extends RuntimeException {
        private static final long serialVersionUID = 1;

        WorkLost(CudaException why) {
            super("work that was recorded as a CUDA graph could not be handed over, " + why.getMessage()
                    + (why.code() == CudaException.OUT_OF_MEMORY
                            ? "; without graphs (-Dgraft.cuda.graphs=false) the driver needs less memory of its own" : ""),
                    why);
        }
    }

    private long ready(long graph) {
        List<Long> pieces = graphs.computeIfAbsent(work, _ -> new ArrayList<>());
        if (piece == pieces.size()) {
            pieces.add(driver.instantiate(graph));
        } else if (!driver.update(pieces.get(piece), graph)) {
            long old = pieces.set(piece, driver.instantiate(graph));
            driver.synchronize(stream);                                          // it may still run
            driver.destroyExecutable(old);
        }
        return pieces.get(piece);
    }

    /// Graphs that were handed over.
    synchronized long launched() {
        return launched;
    }
}
