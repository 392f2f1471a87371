/** Money between its decimal form in documents and its minor units in the domain. */

const digitsByCurrency = new Map<string, number>();

/** Number of decimals of a currency by ISO 4217 (EUR 2, JPY 0, KWD 3). */
export function currencyDigits(currency: string): number {
  let digits = digitsByCurrency.get(currency);
  if (digits === undefined) {
    const format = new Intl.NumberFormat('en', { style: 'currency', currency });
    digits = format.resolvedOptions().maximumFractionDigits ?? 2;
    digitsByCurrency.set(currency, digits);
  }
  return digits;
}

/** "129.00" EUR → 12900. Undefined where the text has more decimals than the currency, or is no plain decimal. */
export function minorUnits(amount: string, currency: string): number | undefined {
  if (!/^\d{1,12}(\.\d{1,3})?$/.test(amount)) return undefined;
  const digits = currencyDigits(currency);
  const [whole = '', fraction = ''] = amount.split('.');
  if (fraction.length > digits) return undefined;
  return Number(whole + fraction.padEnd(digits, '0'));
}

/** 12900 EUR → "129.00". */
export function decimalAmount(minor: number, currency: string): string {
  const digits = currencyDigits(currency);
  if (digits === 0) return String(minor);
  // As text: the quotient of a large amount is not exact.
  const text = String(minor).padStart(digits + 1, '0');
  return `${text.slice(0, -digits)}.${text.slice(-digits)}`;
}
