"""Five tasks on one thread, each in a universe of its own; each destroys a copy of it. See universes.c."""
import asyncio
import contextvars

universe = contextvars.ContextVar("universe", default="nothing")
NAMES = ("Ada", "Ben", "Cyd", "Dov", "Eva")


def destroy(name):
    print(f"{name} looks into the picture: {universe.get()}")
    universe.set("dust")
    print(f"{name} has burnt it: {universe.get()}")


async def live(name):
    token = universe.set(f"the universe of {name}")
    await asyncio.sleep(0)
    print(f"{name} is in {universe.get()}")
    picture = contextvars.copy_context()
    await asyncio.sleep(0)
    picture.run(destroy, name)
    print(f"{name} is still in {universe.get()}, the picture shows {picture[universe]}")
    await asyncio.sleep(0)
    universe.reset(token)
    print(f"{name} came from {universe.get()}")
    try:
        universe.reset(token)
    except RuntimeError:
        print(f"{name} cannot go back twice")


async def main():
    universe.set("the first universe")
    await asyncio.gather(*(live(name) for name in NAMES))
    print(f"outside, all the time: {universe.get()}")
    alone = contextvars.Context()
    alone.run(print, "an empty one:", len(alone))
    try:
        alone.run(alone.run, print)
    except RuntimeError:
        print("nobody enters a universe twice")


asyncio.run(main())
