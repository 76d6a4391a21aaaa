/// Training: what a step does is to be seen whole in [dev.graft.peft.train.Trainer]; around it are the settings
/// ([dev.graft.peft.train.TrainConfig]), the order of the data ([dev.graft.peft.train.Batches]), the loss
/// ([dev.graft.peft.train.CausalLoss]), checkpoints that survive a kill ([dev.graft.peft.train.Checkpoints]) and those who watch
/// ([dev.graft.peft.train.TrainListener]).
package dev.graft.peft.train;
