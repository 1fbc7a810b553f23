/* One row of the resolvers in early.c: names_ask, told the row. */
#define ASKER ".p2align 4\n movl $asker_row, %edi\n jmp names_ask\n .set asker_row, asker_row + 1\n"
