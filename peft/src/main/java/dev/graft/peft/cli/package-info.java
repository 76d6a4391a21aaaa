/// The command line: one class per command, listed in [dev.graft.peft.cli.Main].
package dev.graft.peft.cli;
