/** Metrics in the Prometheus text format; `/metrics` of the admin port serves `register`. */
export { collectDefaultMetrics, Counter, Gauge, Histogram, register } from 'prom-client';
