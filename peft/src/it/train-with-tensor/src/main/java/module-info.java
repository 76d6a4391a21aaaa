module example.train {
    requires dev.graft.tensor;
}
