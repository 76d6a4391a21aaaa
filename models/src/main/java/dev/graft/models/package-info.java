/// Causal language models, their configuration and how they are loaded.
package dev.graft.models;
