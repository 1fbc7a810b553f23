/* dwarf.c, for those that ask libdw themselves: behind its header. */
#ifndef BATON_DISCOVER_DWARF_DIE_H
#define BATON_DISCOVER_DWARF_DIE_H

/* The function that begins at START, an address of the file. False: nothing is known of it. */
bool dwarf_function(struct names *names, uintptr_t start, Dwarf_Die *out);
/* The same, asked once or twice of a large file: of the unit that has the address alone. */
bool dwarf_one_function(struct names *names, uintptr_t start, Dwarf_Die *out);
/* What a type is behind its other names and qualifiers. False: void. */
bool dwarf_type_behind(Dwarf_Die *of, Dwarf_Die *out);

#endif
