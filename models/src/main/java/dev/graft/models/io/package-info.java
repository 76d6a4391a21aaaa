/// Checkpoint files: what weights and settings look like on disk.
///
/// Start at [Checkpoint], which opens a Hugging Face folder or a single file and lists its tensors without reading them; [Safetensors] and
/// [TorchZip] describe the two formats and write them; [Json] reads and writes the settings beside them. Everything read here is taken as
/// hostile: lengths are checked before they are believed, nothing is executed, and memory stays in proportion to the file.
package dev.graft.models.io;
