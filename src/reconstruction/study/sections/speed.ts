/** 9: time per stage and memory. */
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import type { CollectedSample } from '../collect-sample.ts'
import type { LabelResult } from '../label-check.ts'
import { published } from '../published.ts'
import { medianOf, quantile } from '../statistics.ts'
import type { ReportSection } from '../study-report.ts'
import { compare, requirement } from '../verdicts.ts'
import { section } from './section-parts.ts'

export interface SpeedRun {
  /** Quiet: LNGS with water. Busy: surface. One thread each, then all threads at once. */
  name: string
  threads: number
  sample: CollectedSample
}

export function machineOf(): Record<string, string> {
  return {
    processor: `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} threads`,
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    node: process.version,
    load: loadavg()
      .map((load) => load.toFixed(2))
      .join(' '),
  }
}

export function speedSection(runs: readonly SpeedRun[], labels: LabelResult, load: string): ReportSection {
  const framePx = runs[0]!.sample.plan.framePx
  const whole = framePx === 2304
  const one = (name: string) => runs.find((run) => run.name === name && run.threads === 1)!
  const [sparse, busy] = [one('sparse'), one('busy')]
  const median = (run: SpeedRun) => medianOf(run.sample.imageMs)
  const processor = (run: SpeedRun) => medianOf(run.sample.cpuMs)
  const held = (run: SpeedRun, limitMs: number) =>
    requirement(
      `${run.name} images: median processor time of the whole chain, raw image, one thread, at most ${limitMs} ms`,
      whole && (processor(run).value ?? Infinity) <= limitMs,
      `${processor(run).value?.toFixed(1) ?? '-'} ms of processor, ${median(run).value?.toFixed(1) ?? '-'} ms of wall time${whole ? '' : ` on frames of ${framePx} px: the limit is for 2304`}`,
    )
  const peakMiB = process.resourceUsage().maxRSS / 1024
  const stages = Object.keys(sparse.sample.stageMs)
  return section(
    9,
    'speed',
    'Speed and memory',
    runs.map(({ sample }) => sample),
    {
      paragraphs: [
        `Wall time of each stage of the chain on simulated images held in memory (no file is read; gunzip costs 30 to 46 ms more per image). The machine had a load of ${load} when this began: other programs make wall times larger, never smaller. Processor time is what the same work costs when nobody else takes turns; the requirements are held against it. Throughput is threads / median wall time.`,
      ],
      tables: [
        {
          title: 'Time per stage, one thread',
          columns: [
            { title: 'stage', unit: '' },
            ...['sparse', 'busy'].flatMap((name) => [
              { title: `${name} median`, unit: 'ms', digits: 2 },
              { title: `${name} p95`, unit: 'ms', digits: 2 },
            ]),
          ],
          rows: [
            ...stages.map((stage) => [
              stage,
              ...[sparse, busy].flatMap(({ sample: { stageMs } }) => [
                medianOf(stageMs[stage] ?? []),
                quantile(stageMs[stage] ?? [0], 0.95),
              ]),
            ]),
            ['whole image', ...[sparse, busy].flatMap((run) => [median(run), quantile(run.sample.imageMs, 0.95)])],
          ],
        },
        {
          title: 'Throughput and memory',
          columns: [
            { title: 'images', unit: '' },
            { title: 'threads', unit: '', digits: 0 },
            { title: 'wall median', unit: 'ms', digits: 1 },
            { title: 'processor median', unit: 'ms', digits: 1 },
            { title: 'images/s', unit: '', digits: 1 },
            { title: 'points, median', unit: '', digits: 0 },
          ],
          rows: runs.map((run) => [
            run.name,
            run.threads,
            median(run),
            processor(run),
            median(run).value === null ? null : (1000 * run.threads) / median(run).value!,
            quantile(run.sample.macroHits, 0.5),
          ]),
          note: `Peak memory of this whole study (all threads, simulator included): ${peakMiB.toFixed(0)} MiB.`,
        },
        {
          title: 'Beside others, same kind of image',
          columns: [
            { title: 'what', unit: '' },
            { title: 'time per image', unit: 'ms', digits: 1 },
            { title: 'measured', unit: '' },
          ],
          rows: [
            ['ours, whole chain, sparse', median(sparse), 'here, wall time'],
            ['ours, clustering stage alone', medianOf(sparse.sample.stageMs['cluster'] ?? []), 'here'],
            [
              labels.peerVersion ?? 'scikit-learn DBSCAN',
              labels.peer.ms.length === 0 ? null : medianOf(labels.peer.ms),
              labels.peer.ms.length === 0 ? 'not available' : 'here, same points',
            ],
            ['reference, whole chain', '9900 to 21300', 'earlier [M], one core, ROOT stubbed'],
          ],
        },
      ],
      comparisons: [
        compare({
          quantity: 'time per sparse image, whole chain',
          unit: 'ms',
          ours: median(sparse),
          published: published.referenceSparseMs,
          difference:
            'measured earlier on a machine of this size with a stub of ROOT, on other frames; the ratio is an order of magnitude',
          comparable: false,
        }),
      ],
      requirements: [held(sparse, 20), held(busy, 40)],
    },
  )
}
