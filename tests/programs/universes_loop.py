"""Five universes on one thread, each with children of its own. See universes_loop.c, which prints the same lines."""
import asyncio
import contextvars

who = contextvars.ContextVar("who", default=0)


def child(universe, number):
    print(f"child {number} of universe {universe} sees {who.get()}")
    who.set(9999)


async def live(universe):
    who.set(universe)
    for number in range(1, 5):
        print(f"universe {universe} is in {who.get()}")
        who.set(100 * universe + number)
        asyncio.get_running_loop().call_soon(child, universe, number)
        who.set(universe)
        await asyncio.sleep(0)
    print(f"universe {universe} ends in {who.get()}")
    who.set(7777)


async def main():
    who.set(1000)
    await asyncio.gather(*(live(universe) for universe in range(1, 6)))
    print(f"outside, all the time: {who.get()}")


asyncio.run(main())
