/** Cells of notebooks that the platform writes, in the form of nbformat 4.5. */

interface Cell {
  id: string
  cell_type: 'markdown' | 'code'
  metadata: object
  source: string
  execution_count?: null
  outputs?: []
}

export function text(id: string, lines: readonly string[]): Cell {
  return { id, cell_type: 'markdown', metadata: {}, source: lines.join('\n') }
}

export function code(id: string, lines: readonly string[]): Cell {
  return { id, cell_type: 'code', metadata: {}, execution_count: null, outputs: [], source: lines.join('\n') }
}

export function notebookOf(cells: readonly Cell[]): unknown {
  return {
    cells,
    metadata: {
      kernelspec: { display_name: 'Python 3 (ipykernel)', language: 'python', name: 'python3' },
      language_info: { name: 'python' },
    },
    nbformat: 4,
    nbformat_minor: 5,
  }
}
