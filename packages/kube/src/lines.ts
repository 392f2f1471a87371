/** Cuts a stream of bytes into lines, wherever the chunks happen to end. */

/** An object in etcd is at most 1.5 MiB by default; its JSON is longer than what is stored. */
const LONGEST_LINE = 16 * 1024 * 1024;
const NEWLINE = 10;

/** The lines without their ends; empty ones are left out. A last line without an end is cut off data, and dropped. */
export async function* readLines(chunks: AsyncIterable<Uint8Array>, longest = LONGEST_LINE): AsyncIterable<string> {
  let pending: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      pending.push(chunk.subarray(from, end));
      const line = Buffer.concat(pending).toString().trimEnd();
      pending = [];
      size = 0;
      from = end + 1;
      if (line !== '') yield line;
    }
    pending.push(chunk.subarray(from));
    size += chunk.length - from;
    if (size > longest) throw new Error(`a line is longer than ${longest} bytes`);
  }
}
