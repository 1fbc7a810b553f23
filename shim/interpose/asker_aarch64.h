/* One row of the resolvers in early.c: names_ask, told the row. `hint 34` is bti c. */
#define ASKER \
    ".p2align 4\n hint 34\n mov w0, asker_row\n b names_ask\n .set asker_row, asker_row + 1\n"
