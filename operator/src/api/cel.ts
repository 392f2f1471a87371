/** Validation rules of the CRD in CEL, as they hang on a part of the schema. */

/** https://kubernetes.io/docs/reference/using-api/cel/ — `self` is the value of the part, `oldSelf` what it was. */
export interface Rule {
  readonly rule: string;
  /** What to write instead. */
  readonly message: string;
  /** CEL for the same with the values in it; `message` where it fails. */
  readonly messageExpression?: string;
  /** The field that is named, as a JSON path from the part, such as `.closesAt`. */
  readonly fieldPath?: string;
}

/** Metadata of a zod schema that carries rules into the CRD. */
export function rulesOf(...rules: readonly Rule[]): { 'x-kubernetes-validations': readonly Rule[] } {
  return { 'x-kubernetes-validations': rules };
}

/** A CEL string literal. */
export function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

export function listOf(texts: readonly string[]): string {
  return `[${texts.map(quote).join(', ')}]`;
}
