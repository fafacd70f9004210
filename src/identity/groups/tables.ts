// oxlint-disable-next-line no-empty-interface
export interface GroupTables {}
