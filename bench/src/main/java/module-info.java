/// JMH benchmarks of operations, training and decoding.
module dev.graft.bench {
    requires com.fasterxml.jackson.databind;
    requires dev.graft.cuda;
    requires dev.graft.peft;
    requires jdk.incubator.vector;
    requires jmh.core;
}
