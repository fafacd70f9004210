/** Programs that simulated processes start: the scenario says what each of them does. */
import { EventEmitter } from 'node:events'
import { Readable, Writable } from 'node:stream'
import { systemError } from './disk.ts'
import type { SimulatedProcess, World } from './world.ts'

/** Plays one program; its answer is the exit code. */
export type Program = (argv: readonly string[], process: SimulatedProcess) => Promise<number>

/** `spawn` of node:child_process: the child is a process of the same machine and outlives its parent. */
export function spawnSimulated(world: World, programs: Map<string, Program>) {
  return (command: string, argv: readonly string[] = []) => {
    const parent = world.requireProcess()
    const child = Object.assign(new EventEmitter(), {
      pid: undefined as number | undefined,
      stdin: new Writable({ write: (_chunk, _encoding, done) => done() }),
      stdout: Readable.from([]),
      stderr: Readable.from([]),
      unref() {},
      ref() {},
    })
    const program = programs.get(command)
    if (program === undefined) {
      world.after(1, `no program ${command}`, () => child.emit('error', systemError('ENOENT', 'spawn', command)))
      return child
    }
    world.after(world.chance.next() * 5, `spawn ${command}`, () => {
      const started = world.start(parent.machine, [command, ...argv.slice(0, 1)].join(' '), (process) =>
        program([command, ...argv], process),
      )
      child.pid = started.pid
      started.onGone.push((code) =>
        world.after(
          1,
          `exit of ${started.name}`,
          () => {
            child.emit('exit', code > 128 ? null : code, code > 128 ? 'SIGKILL' : null)
            child.emit('close', code > 128 ? null : code, code > 128 ? 'SIGKILL' : null)
          },
          parent,
        ),
      )
      child.emit('spawn')
    })
    return child
  }
}
