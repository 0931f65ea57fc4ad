/** Raised when who reads our output went away (`platter map … | head`): nothing is wrong, and there is nothing left to do. */
export class OutputClosed extends Error {}
