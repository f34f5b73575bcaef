/* SPDX-License-Identifier: MIT */
/* services.h - the functions behind table.c, by file; each serves one call, see hostcall.h. */
#ifndef HOSTCALL_SERVICES_H
#define HOSTCALL_SERVICES_H

#include "hostcall/hostcall.h"

#define SERVICE(name) unsigned name(weir_call *call)
/* misc.c */
SERVICE(serve_info);
SERVICE(serve_console);
SERVICE(serve_log);
SERVICE(serve_random);
SERVICE(serve_time);
SERVICE(serve_arg);
SERVICE(serve_env);
SERVICE(clip_get);
SERVICE(clip_put);
/* control.c */
SERVICE(control_exit);
SERVICE(control_reset);
SERVICE(control_snapshot);
SERVICE(control_clock);
SERVICE(control_screenshot);
/* file_open.c */
SERVICE(file_share);
SERVICE(file_open);
SERVICE(file_close);
SERVICE(file_close_owner);
/* file_io.c */
SERVICE(file_read);
SERVICE(file_write);
SERVICE(file_seek);
SERVICE(file_truncate);
SERVICE(file_flush);
SERVICE(file_lock);
/* file_attr.c */
SERVICE(file_stat);
SERVICE(file_setattr);
SERVICE(file_statfs);
/* file_names.c */
SERVICE(file_rename);
SERVICE(file_link);
SERVICE(file_unlink);
SERVICE(file_rmdir);
SERVICE(file_mkdir);
SERVICE(file_symlink);
SERVICE(file_readlink);
SERVICE(file_fullname);
/* file_dir.c */
SERVICE(file_readdir);
SERVICE(file_find);
SERVICE(file_time);
void searches_close_owner(struct hostcall *h, uint32_t owner);
void searches_free(struct hostcall *h);
/* sg.c */
SERVICE(sg_pin);
SERVICE(sg_release);
void sg_reset(struct hostcall *h);
/* extern.c */
SERVICE(extern_submit);
SERVICE(extern_poll);
#undef SERVICE

#endif
