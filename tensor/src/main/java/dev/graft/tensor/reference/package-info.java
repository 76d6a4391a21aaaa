/// The judge: every primitive as a plain loop in double precision, written to be read. Begin with `Loops`.
package dev.graft.tensor.reference;
