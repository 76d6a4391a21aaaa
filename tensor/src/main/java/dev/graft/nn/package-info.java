/// Modules, their parameters and the layers that models are made of.
package dev.graft.nn;
