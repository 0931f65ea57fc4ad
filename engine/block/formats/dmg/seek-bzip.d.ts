declare module 'seek-bzip' {
  interface Input {
    /** The next byte, or -1. */
    readByte(): number;
    /** Fills `target` from `at` on; the number of bytes, or -1. */
    read(target: Uint8Array, at: number, length: number): number;
    eof(): boolean;
  }
  interface Output {
    writeByte(byte: number): void;
  }
  interface Bunzip {
    /** Unpacks one bzip2 stream. Throws when it is damaged. */
    decode(input: Input, output: Output): void;
  }
  const bunzip: Bunzip;
  export default bunzip;
}
