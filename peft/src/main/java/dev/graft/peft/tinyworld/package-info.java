/// A small invented world that stands in for the text of the internet: [dev.graft.peft.tinyworld.TinyWorld] tells endless short stories
/// about it, on which the project pretrains its own small model; [dev.graft.peft.tinyworld.WordProblems] poses problems in it that the
/// pretrained model cannot solve and an adapter can learn, [dev.graft.peft.tinyworld.Questions] gives it questions of that form to read before, [dev.graft.peft.tinyworld.Topics] asks what
/// a story is about; [dev.graft.peft.tinyworld.Trigram] is the baseline the model has to beat.
package dev.graft.peft.tinyworld;
