/// Evaluation as LLM-Adapters (Hu et al. 2023, arXiv:2304.01933) does it: records, the sixteen test sets, prompts and how an answer is
/// read out of a response.
package dev.graft.peft.eval;
