/**
 * Every named failpoint of the program. The kill campaign arms those that its load passes; the others are named with
 * the test that arms them. e2e/failpoints.test.ts holds both lists together equal to the source.
 */

/** Who dies there, and what makes somebody pass: */
export interface CampaignFailpoint {
  victim: 'supervisor' | 'control' | 'gateway' | 'agent' | 'shim'
  stimulus: 'run' | 'big-run' | 'compressed-run' | 'job' | 'campaign' | 'study' | 'put' | 'multipart' | 'gateway-death'
}

export const campaignFailpoints: Record<string, CampaignFailpoint> = {
  'agent.before-open': { victim: 'agent', stimulus: 'big-run' },
  'agent.before-put': { victim: 'agent', stimulus: 'run' },
  'agent.after-part': { victim: 'agent', stimulus: 'big-run' },
  'agent.before-complete': { victim: 'agent', stimulus: 'big-run' },
  'agent.after-complete': { victim: 'agent', stimulus: 'big-run' },
  'agent.before-upload-record': { victim: 'agent', stimulus: 'big-run' },
  'agent.after-create': { victim: 'agent', stimulus: 'big-run' },
  'agent.before-recheck': { victim: 'agent', stimulus: 'run' },
  'agent.before-safe': { victim: 'agent', stimulus: 'run' },
  'agent.while-compressing': { victim: 'agent', stimulus: 'compressed-run' },
  'agent.after-compress': { victim: 'agent', stimulus: 'compressed-run' },
  'compute.before-launch': { victim: 'control', stimulus: 'job' },
  'compute.after-launch': { victim: 'control', stimulus: 'job' },
  'compute.before-commit': { victim: 'control', stimulus: 'job' },
  'compute.after-commit': { victim: 'control', stimulus: 'job' },
  'ingest.before-inspect': { victim: 'control', stimulus: 'run' },
  'ingest.before-record': { victim: 'control', stimulus: 'run' },
  'ingest.after-record': { victim: 'control', stimulus: 'run' },
  'reconstruction.half-published': { victim: 'control', stimulus: 'campaign' },
  'reconstruction.study-half-published': { victim: 'control', stimulus: 'study' },
  'shim.before-claim': { victim: 'shim', stimulus: 'job' },
  'shim.after-claim': { victim: 'shim', stimulus: 'job' },
  'shim.after-launch': { victim: 'shim', stimulus: 'job' },
  'shim.after-payload': { victim: 'shim', stimulus: 'job' },
  'shim.before-done': { victim: 'shim', stimulus: 'job' },
  'shim.after-done': { victim: 'shim', stimulus: 'job' },
  'storage.after-temp': { victim: 'gateway', stimulus: 'put' },
  'storage.after-fsync': { victim: 'gateway', stimulus: 'put' },
  'storage.after-rename': { victim: 'gateway', stimulus: 'put' },
  'storage.before-answer': { victim: 'gateway', stimulus: 'put' },
  'storage.part-received': { victim: 'gateway', stimulus: 'multipart' },
  'supervisor.before-record': { victim: 'supervisor', stimulus: 'gateway-death' },
}

/** Failpoints of work that no load of the campaign does, by the test that kills at each of them. */
export const otherFailpoints: Record<string, string[]> = {
  'e2e/hand-over.test.ts': [
    'hand-over.arrived',
    'hand-over.begun',
    'hand-over.beside',
    'hand-over.control-gone',
    'hand-over.control-serves',
    'hand-over.drained',
  ],
  'src/foundation/migrations.test.ts': [
    'copy.kept',
    'copy.written',
    'migrate.committed',
    'migrate.copied',
    'migrate.step',
    'restore.copied',
    'restore.filled',
    'restore.linked',
    'restore.renamed',
  ],
  'src/shell/move.test.ts': [
    'move.batch',
    'move.copied',
    'move.finished',
    'move.made',
    'move.marked',
    'move.opened',
    'move.put-aside',
    'move.switched',
    'move.switching',
    'move.verified',
  ],
}
