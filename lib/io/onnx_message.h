#pragma once
// The round trip of messages, field by field.
//
// Reading moves the fields that our structs have out of the protobuf message and clears them there.
// The rest (fields of newer ONNX versions, annotations, ...) is serialized into the struct's
// `unknown`. Writing parses `unknown` first and then sets the fields of the struct. Two rules
// distinguish "absent" from "present, but empty":
//   - a scalar is taken out (and set) only where it differs from its default, so that a field that
//   is
//     present with its default value simply stays in the leftover;
//   - where a struct's value does not tell how it was stored, a note (an integer) is added to the
//     leftover under a field number that no schema may use.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>

namespace roundel::io {

// Field numbers 19000-19999 are reserved for protobuf itself, which uses none in messages.
inline constexpr int kNoteField = 19721;

// FunctionProto.attribute_proto: newer than the messages that this program may be built with.
inline constexpr int kFunctionDefaultsField = 11;

inline void SetNote(google::protobuf::UnknownFieldSet* fields, uint64_t note) {
  if (note != 0) fields->AddVarint(kNoteField, note);
}

// Removes and returns the note; 0 if there is none.
inline uint64_t TakeNote(google::protobuf::UnknownFieldSet* fields) {
  uint64_t note = 0;
  for (int i = 0; i < fields->field_count(); ++i) {
    const auto& field = fields->field(i);
    if (field.number() == kNoteField && field.type() == google::protobuf::UnknownField::TYPE_VARINT)
      note = field.varint();
  }
  if (!fields->empty()) fields->DeleteByNumber(kNoteField);
  return note;
}

inline std::string Leftover(const google::protobuf::MessageLite& message) {
  return message.ByteSizeLong() == 0 ? std::string() : message.SerializePartialAsString();
}

// The caller reports parse errors; protobuf's own lines on stderr are suppressed.
inline bool SilenceProtobuf() {
  static const bool quiet = (google::protobuf::SetLogHandler(nullptr), true);
  return quiet;
}

// Requires: the size of `bytes` fits into an int.
template <typename Message>
bool ParseQuietly(const void* data, size_t bytes, Message* message) {
  return SilenceProtobuf() && message->ParsePartialFromArray(data, static_cast<int>(bytes));
}

// Parses the result of Leftover(). This cannot fail, because it comes from a parsed message.
void ParseLeftover(const std::string& leftover, google::protobuf::MessageLite* message);

}  // namespace roundel::io

// Moves a scalar field out of a message if it differs from its default (see above).
#define ROUNDEL_TAKE_STRING(message, field, destination)        \
  do {                                                          \
    if (!(message)->field().empty()) {                          \
      (destination) = std::move(*(message)->mutable_##field()); \
      (message)->clear_##field();                               \
    }                                                           \
  } while (false)
#define ROUNDEL_TAKE_INT(message, field, destination)   \
  do {                                                  \
    (destination) = (message)->field();                 \
    if ((destination) != 0) (message)->clear_##field(); \
  } while (false)
#define ROUNDEL_PUT_STRING(message, field, source)         \
  do {                                                     \
    if (!(source).empty()) (message)->set_##field(source); \
  } while (false)
#define ROUNDEL_PUT_INT(message, field, source)        \
  do {                                                 \
    if ((source) != 0) (message)->set_##field(source); \
  } while (false)
