/// Adapters grafted onto a frozen model: attach, train, switch, merge, save and load.
package dev.graft.peft;
