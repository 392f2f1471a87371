/** Metrics in the Prometheus text format; `/metrics` of the admin port serves `register`. */
export { Counter, Gauge, Histogram, register } from 'prom-client';
