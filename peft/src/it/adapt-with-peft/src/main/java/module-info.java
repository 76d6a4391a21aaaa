module example.adapt {
    requires dev.graft.peft;
}
