/** Metrics in the Prometheus text format. Names: cygnet_<room>_<what>_<unit>. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

export interface Metrics {
  counter<Label extends string = never>(name: string, help: string, labels?: readonly Label[]): Counter<Label>
  /** With `read`, the value is asked for at each scrape. */
  gauge<Label extends string = never>(
    name: string,
    help: string,
    labels?: readonly Label[],
    read?: (gauge: Gauge<Label>) => void | Promise<void>,
  ): Gauge<Label>
  histogram<Label extends string = never>(
    name: string,
    help: string,
    labels?: readonly Label[],
    buckets?: readonly number[],
  ): Histogram<Label>
  contentType: string
  text(): Promise<string>
}

const secondsBuckets = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600]

/** A registry of its own, labelled with the process; `processMetrics` adds memory, event loop lag and the like. */
export function createMetrics({
  process,
  processMetrics = true,
}: { process?: string; processMetrics?: boolean } = {}): Metrics {
  const registry = new Registry()
  if (process !== undefined) registry.setDefaultLabels({ process })
  if (processMetrics) collectDefaultMetrics({ register: registry, prefix: 'cygnet_' })
  const registers = [registry]
  return {
    counter: (name, help, labels = []) => new Counter({ name, help, labelNames: labels, registers }),
    gauge: (name, help, labels = [], read) =>
      new Gauge({
        name,
        help,
        labelNames: labels,
        registers,
        ...(read && {
          async collect() {
            await read(this as never)
          },
        }),
      }),
    histogram: (name, help, labels = [], buckets = secondsBuckets) =>
      new Histogram({ name, help, labelNames: labels, buckets: [...buckets], registers }),
    contentType: registry.contentType,
    text: () => registry.metrics(),
  }
}
