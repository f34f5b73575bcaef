/* SPDX-License-Identifier: MIT */
/* screen.c - pictures of the screen as PNG (libpng) or PPM. */
#include "monitor.h"

#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

static bool write_ppm(const struct weir_image *image, FILE *file)
{
    fprintf(file, "P6\n%u %u\n255\n", image->width, image->height);
    for (size_t k = 0; k < (size_t)image->width * image->height; k++) {
        uint32_t p = image->pixels[k];
        uint8_t rgb[3] = {(uint8_t)(p >> 16), (uint8_t)(p >> 8), (uint8_t)p};
        if (fwrite(rgb, 1, 3, file) != 3)
            return false;
    }
    return true;
}

static bool write_png(const struct weir_image *image, FILE *file)
{
    png_image header = {.version = PNG_IMAGE_VERSION,
                        .width = image->width,
                        .height = image->height,
                        .format = PNG_FORMAT_RGB};
    uint8_t *rgb = malloc((size_t)image->width * image->height * 3);
    if (!rgb)
        return false;
    for (size_t k = 0; k < (size_t)image->width * image->height; k++) {
        uint32_t p = image->pixels[k];
        rgb[3 * k] = (uint8_t)(p >> 16);
        rgb[3 * k + 1] = (uint8_t)(p >> 8);
        rgb[3 * k + 2] = (uint8_t)p;
    }
    int done = png_image_write_to_stdio(&header, file, 0, rgb, 0, NULL);
    free(rgb);
    return done != 0;
}

const char *save_screen(struct tool *t, const char *path, const char *format)
{
    char *error = t->error_text;
    size_t bytes = sizeof(t->error_text);
    struct weir_image image = {0};
    const char *dot = strrchr(path, '.');
    if (!format)
        format = dot && !strcmp(dot, ".png") ? "png" : "ppm";
    if (strcmp(format, "png") && strcmp(format, "ppm")) {
        snprintf(error, bytes, "'%.64s': unknown picture format; use png or ppm", format);
        return error;
    }
    if (weir_screen_image(t->vm, &image) < 0) {
        snprintf(error, bytes, "%s", tool_error(t));
        return error;
    }
    FILE *file = fopen(path, "wb");
    bool good = file && (strcmp(format, "png") ? write_ppm : write_png)(&image, file);
    if (file && fclose(file) != 0)
        good = false;
    weir_image_free(&image);
    if (good)
        return NULL;
    snprintf(error, bytes, "failed to write '%.300s': %s", path, strerror(errno));
    return error;
}
