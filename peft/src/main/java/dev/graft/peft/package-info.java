/// Adapters grafted onto a frozen model: attach, train, switch, merge, save and load.
///
/// Start at [Peft], which puts adapters on a model. An [Adapter] is a record of hyper-parameters that says, through [Attach], what happens at a
/// layer; [Targets] choose the layers by name; [Graft] is an adapter on a model, or the plan of one; [Adapters] lists the methods, which are in
/// [dev.graft.peft.method], one file each.
package dev.graft.peft;
