/* SPDX-License-Identifier: MIT */
/*
 * isa_dma.h - how an ISA device (the floppy controller) moves data through the 8237. Device
 * lock held. Channels 0-3 move bytes, 5-7 move words (lengths stay in bytes there, and even).
 */
#ifndef DEV_ISA_DMA_H
#define DEV_ISA_DMA_H

#include <weir/device.h>

/* A request on the channel would be served now: unmasked, controller enabled, not cascade. */
bool dma_ready(weir_dev *dma, unsigned channel);

/* Called when the guest makes the channel ready (unmasks it, enables the controller). */
void dma_on_ready(weir_dev *dma, unsigned channel, void (*fn)(void *ctx), void *ctx);

/* Move up to `len` bytes memory -> device ("read") or device -> memory ("write"); return how
 * many were moved: 0 when not ready. *terminal_count: the channel's count has run out
 * with the last byte moved (TC); without auto-initialisation the channel is masked then.
 * In verify mode bytes are counted and nothing is moved (buffer: zeros for a read).
 * Memory that is not there reads as ones and swallows writes. */
unsigned dma_read_memory(weir_dev *dma, unsigned channel, void *buffer, unsigned len,
                         bool *terminal_count);
unsigned dma_write_memory(weir_dev *dma, unsigned channel, const void *buffer, unsigned len,
                          bool *terminal_count);

#endif
