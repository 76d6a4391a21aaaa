/// The methods, one file each, with the formula on top. [dev.graft.peft.Adapters] lists them.
package dev.graft.peft.method;
