/// Studies: a grid of models, methods, places, sizes, learning rates and seeds, and what became of each cell. [dev.graft.peft.study.StudyConfig] says
/// which, [dev.graft.peft.study.StudyResults] keeps it, [dev.graft.peft.study.StudyReport] and [dev.graft.peft.study.StudyPlots] show it; the command line runs it.
package dev.graft.peft.study;
