/** The engine's metrics, under the names of client-go and controller-runtime, so that their dashboards and rules fit. */
import { Counter, Gauge, Histogram } from '@flashsale/platform/metrics';

/** `start`, then `count - 1` more, each `factor` times the one before. */
const exponentialBuckets = (start: number, factor: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => start * factor ** i);
const WORK_BUCKETS = exponentialBuckets(1e-8, 10, 10);

/** Work under way in queues: measured when it is asked for, not by a timer. */
export interface Unfinished {
  readonly name: string;
  /** Ages of what is being worked on, s. */
  ages(): readonly number[];
}
const queues = new Set<Unfinished>();

/** From now on the queue's work under way is measured; returns how to end that. */
export function measure(queue: Unfinished): () => void {
  queues.add(queue);
  return () => queues.delete(queue);
}

function ages(of: (ages: readonly number[]) => number): (this: Gauge) => void {
  return function (this: Gauge) {
    this.reset();
    for (const queue of queues) this.set({ name: queue.name }, of(queue.ages()));
  };
}

const name = ['name'] as const;
export const workqueue = {
  depth: new Gauge({ name: 'workqueue_depth', help: 'Current depth of workqueue', labelNames: name }),
  adds: new Counter({ name: 'workqueue_adds_total', help: 'Adds handled by workqueue', labelNames: name }),
  retries: new Counter({ name: 'workqueue_retries_total', help: 'Retries handled by workqueue', labelNames: name }),
  queueDuration: new Histogram({
    name: 'workqueue_queue_duration_seconds',
    help: 'How long in seconds an item stays in workqueue before being requested',
    labelNames: name,
    buckets: WORK_BUCKETS,
  }),
  workDuration: new Histogram({
    name: 'workqueue_work_duration_seconds',
    help: 'How long in seconds processing an item from workqueue takes',
    labelNames: name,
    buckets: WORK_BUCKETS,
  }),
  unfinished: new Gauge({
    name: 'workqueue_unfinished_work_seconds',
    help: 'Seconds of work in progress that work_duration has not seen yet; a large one shows stuck workers',
    labelNames: name,
    collect: ages((list) => list.reduce((sum, age) => sum + age, 0)),
  }),
  longest: new Gauge({
    name: 'workqueue_longest_running_processor_seconds',
    help: 'How many seconds the longest running processor has been running',
    labelNames: name,
    collect: ages((list) => Math.max(0, ...list)),
  }),
};

const controller = ['controller'] as const;
export const controllerRuntime = {
  reconciles: new Counter({
    name: 'controller_runtime_reconcile_total',
    help: 'Reconciliations by result: success, error, requeue, requeue_after',
    labelNames: ['controller', 'result'],
  }),
  errors: new Counter({
    name: 'controller_runtime_reconcile_errors_total',
    help: 'Reconciliations that threw',
    labelNames: controller,
  }),
  terminalErrors: new Counter({
    name: 'controller_runtime_terminal_reconcile_errors_total',
    help: 'Reconciliations that threw what no retry can mend',
    labelNames: controller,
  }),
  time: new Histogram({
    name: 'controller_runtime_reconcile_time_seconds',
    help: 'Length of a reconciliation',
    labelNames: controller,
    buckets: [
      0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75,
      2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
    ],
  }),
  activeWorkers: new Gauge({
    name: 'controller_runtime_active_workers',
    help: 'Workers that are reconciling now',
    labelNames: controller,
  }),
  mostWorkers: new Gauge({
    name: 'controller_runtime_max_concurrent_reconciles',
    help: 'Most reconciliations at a time',
    labelNames: controller,
  }),
};

export const reflectorMetrics = {
  lists: new Counter({
    name: 'reflector_lists_total',
    help: 'Complete lists by reason: start, expired, restored, periodic',
    labelNames: ['name', 'reason'],
  }),
  watches: new Counter({
    name: 'reflector_watches_total',
    help: 'Watches that ended, by why: done, expired, idle, error',
    labelNames: ['name', 'ended'],
  }),
  drift: new Counter({
    name: 'reflector_drift_total',
    help: 'Objects that the watch had lost or kept wrongly, found by the periodic list',
    labelNames: ['name', 'kind'],
  }),
  items: new Gauge({ name: 'reflector_items', help: 'Objects in the store', labelNames: name }),
};

export const leaderMetrics = {
  leading: new Gauge({
    name: 'leader_election_master_status',
    help: 'Whether this process leads: 1, or 0',
    labelNames: name,
  }),
};

export const eventMetrics = {
  discarded: new Counter({
    name: 'kube_events_discarded_total',
    help: 'Events that were not written, by reason: rate, full, failed',
    labelNames: ['reason'],
  }),
};
