package dev.graft.peft.train;

/// On which side the shorter texts of a batch are filled up. Padding is masked and positions count real tokens, so both give the same loss.
public enum Padding {
    LEFT, RIGHT
}
