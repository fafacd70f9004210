/** The floors of the house, ground floor first. The one list from which the import rules and the graph are made. */
export const rooms = [
  'foundation',
  'detector',
  'identity',
  'storage',
  'logbook',
  'ingest',
  'compute',
  'reconstruction',
  'notebooks',
  'shell',
] as const
