/// JMH benchmarks of operations, training and decoding.
module dev.graft.bench {
    requires dev.graft.peft;
}
