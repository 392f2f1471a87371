/** The table of faults. */
import { CLUSTER_FAULTS } from './cluster-faults.ts';
import { PROCESS_FAULTS, WIRE, type Fault } from './fault.ts';
import { LOG_FAULTS } from './log-faults.ts';
import { SERVER_FAULTS } from './server-faults.ts';

export const FAULTS: readonly Fault[] = [
  ...WIRE,
  ...PROCESS_FAULTS,
  ...SERVER_FAULTS,
  ...LOG_FAULTS,
  ...CLUSTER_FAULTS,
];

/** Those whose name holds one of `parts`; all where there are none. Throws a RangeError where one fits no fault. */
export function faultsNamed(parts: readonly string[]): readonly Fault[] {
  for (const part of parts)
    if (!FAULTS.some(({ name }) => name.includes(part))) throw new RangeError(`no fault's name holds "${part}"`);
  return FAULTS.filter(({ name }) => parts.length === 0 || parts.some((part) => name.includes(part)));
}
