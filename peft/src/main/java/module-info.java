/// Adapters, their training and evaluation, and the command line.
module dev.graft.peft {
    requires transitive dev.graft.models;

    requires info.picocli;

    exports dev.graft.peft;
    exports dev.graft.peft.method;
    exports dev.graft.peft.train;

    opens dev.graft.peft.cli to info.picocli;
}
