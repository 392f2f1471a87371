/** `flashsale lag-replicas`: the autoscaler as a pure function, JSON cases in, JSON answers out. */
import { text } from 'node:stream/consumers';
import { lagReplicas, type LagCase } from '@flashsale/operator/autoscaler/lag-replicas';
import { Command } from 'commander';
import { UsageError } from '../usage-error.ts';

export function lagReplicasCommand(): Command {
  return new Command('lag-replicas')
    .description('what the autoscaler answers to the cases on standard input')
    .action(async () => {
      const cases = parseCases(await text(process.stdin));
      process.stdout.write(`${JSON.stringify(cases.map(answer), undefined, 2)}\n`);
    });
}

function parseCases(input: string): LagCase[] {
  try {
    const value: unknown = JSON.parse(input);
    if (Array.isArray(value)) return value as LagCase[];
  } catch (error) {
    throw new UsageError(`standard input is not JSON: ${error instanceof Error ? error.message : '?'}`);
  }
  throw new UsageError('standard input must be a JSON array of cases');
}

function answer(question: LagCase): ReturnType<typeof lagReplicas> {
  try {
    return lagReplicas(question);
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(error.message) : error;
  }
}
