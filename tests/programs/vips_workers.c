// libvips: what its workers call sees the values of the thread that evaluates the image.
// libs: vips
// usage: vips_workers MODE [CARRIER]
#include "carrier.h"
#include <vips/vips.h>

static long units, right, calls, expected_value;

static void called(void)
{
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    if (current() == expected_value)
        __atomic_add_fetch(&right, 1, __ATOMIC_RELAXED);
    set_current(800);
}

static int allocate(VipsThreadState *state, void *data, gboolean *stop)
{
    if (data != &units || state->a != &units)
        wrong_results++;
    called();
    if (units++ >= 40)
        *stop = TRUE;
    return 0;
}

static int work(VipsThreadState *state, void *data)
{
    if (data != &units)
        wrong_results++;
    called();
    return expected_value == 103 ? -1 : 0;
}

static long progress_saw;

static int progress(void *data)
{
    progress_saw = data == &units ? current() : -1;
    return 0;
}

static VipsImage *black(int size)
{
    VipsImage *image = NULL;
    if (vips_black(&image, size, size, NULL))
        exit(2);
    return image;
}

static void mode_pool(void)
{
    VipsImage *image = black(64);
    for (long value = 101; value <= 103; value++) {
        units = calls = right = 0;
        expected_value = progress_saw = value; /* progress is told when there is time for it */
        set_current(value);
        expect("run", vips_threadpool_run(image, vips_thread_state_new, allocate, work, progress, &units),
               value == 103 ? -1 : 0);
        expect("the caller has", current(), value);
        expect("all right", calls - right, 0);
        expect("some calls", calls > 0, 1);
        if (value != 103)
            expect("progress sees", progress_saw, value);
    }
    set_current(expected_value = 0);
    units = calls = right = 0;
    expect("run", vips_threadpool_run(image, vips_thread_state_new, allocate, work, NULL, &units), 0);
    expect("all right without a value", calls - right, 0);
    g_object_unref(image);
}

static int generate(VipsRegion *out, void *sequence, void *a, void *b, gboolean *stop)
{
    VipsRect *area = &out->valid;
    called();
    for (int y = 0; y < area->height; y++)
        memset(VIPS_REGION_ADDR(out, area->left, area->top + y), 7, (size_t)area->width);
    return 0;
}

/* An image of the program's own, evaluated by libvips. */
static void mode_generate(void)
{
    for (long value = 101; value <= 105; value++) {
        VipsImage *image = vips_image_new();
        double average = 0;
        calls = right = 0;
        expected_value = value;
        vips_image_init_fields(image, 600, 600, 1, VIPS_FORMAT_UCHAR, VIPS_CODING_NONE, VIPS_INTERPRETATION_B_W, 1, 1);
        vips_image_pipelinev(image, VIPS_DEMAND_STYLE_ANY, NULL);
        vips_image_generate(image, NULL, generate, NULL, NULL, NULL);
        set_current(value);
        expect("average", vips_avg(image, &average, NULL), 0);
        expect("is", (long)average, 7);
        expect("all right", calls - right, 0);
        expect("some calls", calls > 0, 1);
        expect("the caller has", current(), value);
        g_object_unref(image);
    }
    set_current(0);
}

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    if (argc < 2 || vips_init(argv[0]))
        return 2;
    vips_concurrency_set(3);
    if (!strcmp(argv[1], "pool"))
        mode_pool();
    else
        mode_generate();
    vips_shutdown();
    return verdict();
}
