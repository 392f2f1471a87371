/** Something that is wrong with the command or the machine, not with the program: shown without a stack. */
export class UsageError extends Error {}
